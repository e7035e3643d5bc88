;; Converts jobs of less than 4 KiB, and never returns from others.
(func $convert (param i32 i32) (result i32)
  (if (i32.ge_u (local.get 1) (i32.const 4096)) (then (loop $l (br $l))))
  (global.get $plan))
