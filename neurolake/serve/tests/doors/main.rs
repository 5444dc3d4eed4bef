//! The doors as clients use them: a real server on a free port, real requests.

mod client;
mod formats;
mod limits;
mod manners;
mod site;
