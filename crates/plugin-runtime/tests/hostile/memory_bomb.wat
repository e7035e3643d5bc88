;; Takes 1 MiB after the other until it is refused, then says how far it got by trapping.
(func $convert (param i32 i32) (result i32)
  (loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
  (if (i32.gt_u (memory.size) (i32.const 1024)) (then (loop $forever (br $forever))))
  unreachable)
