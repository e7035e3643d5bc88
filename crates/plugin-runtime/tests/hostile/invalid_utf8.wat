;; Refuses the form with bytes that are no text.
(data (i32.const 512) "\ff\fe\80\81")
(func $convert (param i32 i32) (result i32)
  (i32.store8 (i32.const 128) (i32.const 1))
  (i32.store8 (i32.const 132) (i32.const 1))
  (i32.store (i32.const 136) (i32.const 512))
  (i32.store (i32.const 140) (i32.const 4))
  (i32.const 128))
