;; Finds 30 000 mistakes, all of them empty.
(memory (export "memory") 64)
(func $validate (param i32 i32) (result i32)
  (i32.store (i32.const 128) (i32.const 65536))
  (i32.store (i32.const 132) (i32.const 30000))
  (i32.const 128))
