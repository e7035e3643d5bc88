;; Never gets as far as being called.
(func $forever (loop $l (br $l)))
(start $forever)
