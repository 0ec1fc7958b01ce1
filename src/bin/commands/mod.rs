//! The tool's subcommands: arguments and what is printed; the work is the library's.

pub mod phantom;
pub mod train;
