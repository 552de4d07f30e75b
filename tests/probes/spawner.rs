//! Starts programs in the ways of Rust: posix_spawn, fork and exec (as soon as something is to be
//! done in between), from threads, and in its own place.
//!
//! usage: spawner DIRECTORY
//! Prints the exit status of DIRECTORY/hit-7, hit-8 and of hit-10 to hit-13, and becomes hit-9.

use std::os::unix::process::CommandExt;
use std::process::Command;

fn main() {
    let directory = std::env::args().nth(1).expect("a directory");
    let program = move |n: i32| Command::new(format!("{directory}/hit-{n}"));
    let spawned = program(7).status().unwrap().code();
    let mut prepared = program(8);
    unsafe { prepared.pre_exec(|| Ok(())) };
    let forked = prepared.output().unwrap().status.code();
    let threads: Vec<_> = (10..14)
        .map(|n| {
            let mut command = program(n);
            std::thread::spawn(move || command.status().unwrap().code())
        })
        .collect();
    let joined: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    println!("{spawned:?} {forked:?} {joined:?}");
    panic!("{}", program(9).exec());
}
