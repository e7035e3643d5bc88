;; Says something with a line break in it, then gives up.
(import "trainyard:converter/log@1.0.0" "write" (func $log (param i32 i32 i32)))
(data (i32.const 512) "last\nwords")
(func $convert (param i32 i32) (result i32)
  (call $log (i32.const 3) (i32.const 512) (i32.const 10))
  unreachable)
