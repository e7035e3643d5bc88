;; Answers with a pointer to nowhere.
(func $convert (param i32 i32) (result i32) (i32.const 0x7ffffff0))
