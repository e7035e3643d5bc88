;; Answers with a text of 32 MiB.
(memory (export "memory") 600)
(func $convert (param i32 i32) (result i32)
  (memory.fill (i32.const 65536) (i32.const 97) (i32.const 33554432))
  (call $answer (i32.const 65536) (i32.const 33554432)))
