;; Refuses the form with a sentence of 32 MiB.
(memory (export "memory") 600)
(func $convert (param i32 i32) (result i32)
  (i32.store8 (i32.const 128) (i32.const 1))
  (i32.store8 (i32.const 132) (i32.const 1))
  (memory.fill (i32.const 65536) (i32.const 97) (i32.const 33554432))
  (i32.store (i32.const 136) (i32.const 65536))
  (i32.store (i32.const 140) (i32.const 33554432))
  (i32.const 128))
