;; Answers with bytes that are no text.
(data (i32.const 512) "\ff\fe\80\81")
(func $convert (param i32 i32) (result i32) (call $answer (i32.const 512) (i32.const 4)))
