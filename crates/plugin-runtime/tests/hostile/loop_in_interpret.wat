;; Converts, and never says what its workload does.
(func $interpret (param i32 i32) (result i32) (loop $l (br $l)) unreachable)
