;; WASI preview 1 as a flow sees it: `wasi_snapshot_preview1` in terms of `adapter.wit`. docs/languages.md says what there is.
;;
;; - The clock is in globals, since Go's garbage collector reads it inside `cabi_realloc`, where a component must not call the
;;   host. It stands still. Only sleeping moves it, at once.
;; - There is one directory, `/`, which is empty and cannot be written to, so that whoever opens a file is told that there is
;;   none. There are no sockets.
;; - Only what a module imports of this gets into its component.
;;
;; Functions have no names ($…) if a module can import them, so that they are not shown in the backtraces of its author.
(module
  (import "faas-flow:adapter/system" "write" (func $write (param i32 i32 i32)))
  (import "faas-flow:adapter/system" "random" (func $random (result i64)))
  (import "faas-flow:adapter/system" "exit" (func $exit (param i32)))
  (import "faas-flow:adapter/missing" "path-create-directory" (func $path_create_directory))
  (import "faas-flow:adapter/missing" "path-filestat-get" (func $path_filestat_get))
  (import "faas-flow:adapter/missing" "path-filestat-set-times" (func $path_filestat_set_times))
  (import "faas-flow:adapter/missing" "path-link" (func $path_link))
  (import "faas-flow:adapter/missing" "path-open" (func $path_open))
  (import "faas-flow:adapter/missing" "path-readlink" (func $path_readlink))
  (import "faas-flow:adapter/missing" "path-remove-directory" (func $path_remove_directory))
  (import "faas-flow:adapter/missing" "path-rename" (func $path_rename))
  (import "faas-flow:adapter/missing" "path-symlink" (func $path_symlink))
  (import "faas-flow:adapter/missing" "path-unlink-file" (func $path_unlink_file))
  (import "faas-flow:adapter/missing" "sock-accept" (func $sock_accept))
  (import "faas-flow:adapter/missing" "sock-recv" (func $sock_recv))
  (import "faas-flow:adapter/missing" "sock-send" (func $sock_send))
  (import "faas-flow:adapter/missing" "sock-shutdown" (func $sock_shutdown))
  (import "env" "memory" (memory 0))

  ;; Errors of WASI.
  (global $badf i32 (i32.const 8))
  (global $inval i32 (i32.const 28))
  (global $nametoolong i32 (i32.const 37))
  (global $noent i32 (i32.const 44))
  (global $notsup i32 (i32.const 58))
  (global $rofs i32 (i32.const 69))
  (global $spipe i32 (i32.const 70))

  ;; The file descriptor of the directory `/`.
  (global $root i32 (i32.const 3))

  ;; The time of day when nothing has been slept in this call, in nanoseconds since 1970: 2000-01-01 until the first call.
  (global $now (mut i64) (i64.const 946684800000000000))
  ;; How long this instance has slept altogether, and how long before this call. At most $forever.
  (global $slept (mut i64) (i64.const 0))
  (global $before (mut i64) (i64.const 0))
  (global $forever i64 (i64.const 0x2000000000000000))
  ;; What the monotonic clock says before anything has been slept. Go refuses a clock that says 0.
  (global $origin i64 (i64.const 1000000000))

  (func (export "faas-flow:adapter/clock#begin") (param $time i64)
    (global.set $now (local.get $time))
    (global.set $before (global.get $slept)))

  ;; The sum of two times of at most $forever each, at most $forever.
  (func $later (param $time i64) (param $by i64) (result i64)
    (if (i64.gt_u (local.get $by) (i64.sub (global.get $forever) (local.get $time)))
      (then (return (global.get $forever))))
    (i64.add (local.get $time) (local.get $by)))

  ;; The time between two moments, which is nothing if the second one is not later.
  (func $between (param $first i64) (param $second i64) (result i64)
    (if (i64.le_u (local.get $second) (local.get $first)) (then (return (i64.const 0))))
    (i64.sub (local.get $second) (local.get $first)))

  ;; Arguments and environment: none.

  (func $none (param $count i32) (param $size i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $size) (i32.const 0))
    (i32.const 0))
  (func (export "args_sizes_get") (param i32 i32) (result i32) (call $none (local.get 0) (local.get 1)))
  (func (export "environ_sizes_get") (param i32 i32) (result i32) (call $none (local.get 0) (local.get 1)))
  (func (export "args_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "environ_get") (param i32 i32) (result i32) (i32.const 0))

  ;; Clocks: 0 is the time of day; 1 is monotonic, and so are 2 and 3, the processor time of the process and the thread.

  (func (export "clock_res_get") (param $clock i32) (param $resolution i32) (result i32)
    (if (i32.gt_u (local.get $clock) (i32.const 3)) (then (return (global.get $inval))))
    (i64.store (local.get $resolution) (i64.const 1))
    (i32.const 0))

  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $time i32) (result i32)
    (if (i32.gt_u (local.get $clock) (i32.const 3)) (then (return (global.get $inval))))
    (i64.store (local.get $time)
      (if (result i64) (i32.eqz (local.get $clock))
        (then (i64.add (global.get $now) (i64.sub (global.get $slept) (global.get $before))))
        (else (i64.add (global.get $origin) (global.get $slept)))))
    (i32.const 0))

  ;; When a subscription to a clock is due, as a value of $slept. $slept is what it was when the call began.
  (func $due (param $subscription i32) (param $slept i64) (result i64)
    (local $time i64)
    (local.set $time (i64.load offset=24 (local.get $subscription)))
    (if (i32.eqz (i32.and (i32.load16_u offset=40 (local.get $subscription)) (i32.const 1)))
      (then (return (call $later (local.get $slept) (local.get $time)))))
    (if (i32.eqz (i32.load offset=16 (local.get $subscription)))
      (then (return (call $later (global.get $before) (call $between (global.get $now) (local.get $time))))))
    (call $later (i64.const 0) (call $between (global.get $origin) (local.get $time))))

  ;; Waits for the first of several events. Reading and writing never wait; otherwise, the clock jumps to the first moment.
  (func (export "poll_oneoff") (param $subscriptions i32) (param $events i32) (param $count i32) (param $number i32) (result i32)
    (local $at i32) (local $left i32) (local $ready i32) (local $file i32)
    (local $slept i64) (local $first i64) (local $due i64)
    (if (i32.eqz (local.get $count)) (then (return (global.get $inval))))
    (local.set $slept (global.get $slept))
    (local.set $first (global.get $forever))
    ;; What is first: now, if there is something to read or write.
    (local.set $at (local.get $subscriptions))
    (local.set $left (local.get $count))
    (loop $next
      (local.set $due
        (if (result i64) (i32.load8_u offset=8 (local.get $at))
          (then (local.get $slept))
          (else (call $due (local.get $at) (local.get $slept)))))
      (if (i64.lt_u (local.get $due) (local.get $first)) (then (local.set $first (local.get $due))))
      (local.set $at (i32.add (local.get $at) (i32.const 48)))
      (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (if (i64.gt_u (local.get $first) (local.get $slept)) (then (global.set $slept (local.get $first))))
    ;; All that has come to pass by then.
    (local.set $at (local.get $subscriptions))
    (local.set $left (local.get $count))
    (loop $next
      (local.set $file (i32.load8_u offset=8 (local.get $at)))
      (local.set $due (if (result i64) (local.get $file)
        (then (local.get $slept))
        (else (call $due (local.get $at) (local.get $slept)))))
      (if (i64.le_u (local.get $due) (global.get $slept))
        (then
          (i64.store (local.get $events) (i64.load (local.get $at)))
          (i64.store offset=8 (local.get $events) (i64.const 0))
          (i32.store8 offset=10 (local.get $events) (local.get $file))
          (i64.store offset=16 (local.get $events) (i64.const 0))
          (i64.store offset=24 (local.get $events) (i64.const 0))
          (if (local.get $file)
            (then (i32.store16 offset=8 (local.get $events)
              (select (global.get $badf) (i32.const 0) (i32.gt_u (i32.load offset=16 (local.get $at)) (i32.const 2))))))
          (local.set $events (i32.add (local.get $events) (i32.const 32)))
          (local.set $ready (i32.add (local.get $ready) (i32.const 1)))))
      (local.set $at (i32.add (local.get $at) (i32.const 48)))
      (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.store (local.get $number) (local.get $ready))
    (i32.const 0))

  (func (export "sched_yield") (result i32) (i32.const 0))

  ;; Random numbers.

  (func (export "random_get") (param $buffer i32) (param $length i32) (result i32)
    (local $number i64)
    (block $rest
      (loop $next
        (br_if $rest (i32.lt_u (local.get $length) (i32.const 8)))
        (i64.store align=1 (local.get $buffer) (call $random))
        (local.set $buffer (i32.add (local.get $buffer) (i32.const 8)))
        (local.set $length (i32.sub (local.get $length) (i32.const 8)))
        (br $next)))
    (if (local.get $length)
      (then
        (local.set $number (call $random))
        (loop $next
          (i64.store8 (local.get $buffer) (local.get $number))
          (local.set $number (i64.shr_u (local.get $number) (i64.const 8)))
          (local.set $buffer (i32.add (local.get $buffer) (i32.const 1)))
          (br_if $next (local.tee $length (i32.sub (local.get $length) (i32.const 1)))))))
    (i32.const 0))

  ;; The end.

  (func (export "proc_exit") (param $status i32) (call $exit (local.get $status)) (unreachable))
  (func (export "proc_raise") (param $signal i32) (result i32)
    (call $exit (i32.add (i32.const 128) (local.get $signal)))
    (unreachable))

  ;; Open files: 0 is stdin, which is at its end; 1 and 2 are stdout and stderr; 3 is the directory `/`.

  (func $is_open (param $file i32) (result i32) (i32.le_u (local.get $file) (global.get $root)))
  (func $if_open (param $file i32) (result i32)
    (select (i32.const 0) (global.get $badf) (call $is_open (local.get $file))))
  ;; A character device; for 3, a directory.
  (func $type (param $file i32) (result i32)
    (select (i32.const 3) (i32.const 2) (i32.eq (local.get $file) (global.get $root))))

  (func (export "fd_write") (param $file i32) (param $parts i32) (param $count i32) (param $written i32) (result i32)
    (local $length i32) (local $most i32) (local $total i32)
    (if (i32.gt_u (i32.sub (local.get $file) (i32.const 1)) (i32.const 1)) (then (return (global.get $badf))))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $length (i32.load offset=4 (local.get $parts)))
        (local.set $most (local.get $length))
        (if (i32.gt_u (local.get $most) (i32.const 0x10000)) (then (local.set $most (i32.const 0x10000))))
        (if (local.get $most)
          (then (call $write (local.get $file) (i32.load (local.get $parts)) (local.get $most))))
        (local.set $total (i32.add (local.get $total) (local.get $most)))
        ;; The rest is for another call.
        (br_if $done (i32.lt_u (local.get $most) (local.get $length)))
        (local.set $parts (i32.add (local.get $parts) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $written) (local.get $total))
    (i32.const 0))

  (func (export "fd_read") (param $file i32) (param $parts i32) (param $count i32) (param $read i32) (result i32)
    (if (local.get $file) (then (return (global.get $badf))))
    (i32.store (local.get $read) (i32.const 0))
    (i32.const 0))

  (func (export "fd_fdstat_get") (param $file i32) (param $stat i32) (result i32)
    (if (i32.eqz (call $is_open (local.get $file))) (then (return (global.get $badf))))
    (i64.store (local.get $stat) (i64.extend_i32_u (call $type (local.get $file))))
    ;; Everything may be done with `/`. What cannot be sought in is a terminal, so that lines are not held back.
    (i64.store offset=8 (local.get $stat)
      (select (i64.const 0x1fffffff) (i64.const 0x0820004a) (i32.eq (local.get $file) (global.get $root))))
    (i64.store offset=16 (local.get $stat)
      (select (i64.const 0x1fffffff) (i64.const 0) (i32.eq (local.get $file) (global.get $root))))
    (i32.const 0))

  (func (export "fd_filestat_get") (param $file i32) (param $stat i32) (result i32)
    (if (i32.eqz (call $is_open (local.get $file))) (then (return (global.get $badf))))
    (memory.fill (local.get $stat) (i32.const 0) (i32.const 64))
    (i32.store8 offset=16 (local.get $stat) (call $type (local.get $file)))
    (i64.store offset=24 (local.get $stat) (i64.const 1))
    (i32.const 0))

  (func (export "fd_prestat_get") (param $file i32) (param $prestat i32) (result i32)
    (if (i32.ne (local.get $file) (global.get $root)) (then (return (global.get $badf))))
    (i32.store (local.get $prestat) (i32.const 0))
    (i32.store offset=4 (local.get $prestat) (i32.const 1))
    (i32.const 0))

  (func (export "fd_prestat_dir_name") (param $file i32) (param $name i32) (param $length i32) (result i32)
    (if (i32.ne (local.get $file) (global.get $root)) (then (return (global.get $badf))))
    (if (i32.eqz (local.get $length)) (then (return (global.get $nametoolong))))
    (i32.store8 (local.get $name) (i32.const 47))
    (i32.const 0))

  (func (export "fd_readdir") (param $file i32) (param $buffer i32) (param $length i32) (param $cookie i64) (param $used i32) (result i32)
    (if (i32.ne (local.get $file) (global.get $root)) (then (return (global.get $badf))))
    (i32.store (local.get $used) (i32.const 0))
    (i32.const 0))

  (func (export "fd_seek") (param $file i32) (param i64 i32 i32) (result i32)
    (select (global.get $spipe) (global.get $badf) (call $is_open (local.get $file))))
  (func (export "fd_tell") (param $file i32) (param i32) (result i32)
    (select (global.get $spipe) (global.get $badf) (call $is_open (local.get $file))))
  (func (export "fd_close") (param i32) (result i32) (call $if_open (local.get 0)))
  (func (export "fd_sync") (param i32) (result i32) (call $if_open (local.get 0)))
  (func (export "fd_datasync") (param i32) (result i32) (call $if_open (local.get 0)))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (call $if_open (local.get 0)))
  (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (call $if_open (local.get 0)))
  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) (global.get $badf))
  (func (export "fd_allocate") (param i32 i64 i64) (result i32) (global.get $badf))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (global.get $badf))
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (global.get $badf))
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) (global.get $badf))
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) (global.get $badf))
  (func (export "fd_renumber") (param i32 i32) (result i32) (global.get $badf))

  ;; Other files: there are none, and none can be created.

  (func (export "path_open") (param i32 i32 i32 i32) (param $how i32) (param i64 i64 i32 i32) (result i32)
    (call $path_open)
    (select (global.get $rofs) (global.get $noent) (i32.and (local.get $how) (i32.const 1))))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32)
    (call $path_filestat_get) (global.get $noent))
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32)
    (call $path_readlink) (global.get $noent))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32)
    (call $path_filestat_set_times) (global.get $noent))
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32)
    (call $path_remove_directory) (global.get $noent))
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32)
    (call $path_rename) (global.get $noent))
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32)
    (call $path_unlink_file) (global.get $noent))
  (func (export "path_create_directory") (param i32 i32 i32) (result i32)
    (call $path_create_directory) (global.get $rofs))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
    (call $path_link) (global.get $rofs))
  (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32)
    (call $path_symlink) (global.get $rofs))

  ;; Sockets: none.

  (func (export "sock_accept") (param i32 i32 i32) (result i32) (call $sock_accept) (global.get $notsup))
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) (call $sock_recv) (global.get $notsup))
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) (call $sock_send) (global.get $notsup))
  (func (export "sock_shutdown") (param i32 i32) (result i32) (call $sock_shutdown) (global.get $notsup)))
