//! The door as clients use it: a real listener, real requests, a queue in memory.

mod bodies;
mod keys;
mod manners;
mod server;
mod trouble;
