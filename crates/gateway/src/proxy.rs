//! The reverse proxy: bytes in, checked; requests judged, passed on and watched; bytes out.
//!
//! Reading order: [`guard`] (what is let in), [`serve`] (one request), [`gate`] and [`trusted`]
//! (whether it may pass), [`inspected`] (what rules say of it), [`upstream`] (where it goes), [`body`] (what goes by), [`record`] (what is kept of it).

pub mod address;
pub mod body;
pub mod chunked;
pub mod forward;
mod fuzz;
pub mod gate;
pub mod guard;
pub mod head;
pub mod health;
pub mod inspected;
pub mod live;
pub mod problem;
pub mod proof;
pub mod record;
pub mod refusal;
pub mod serve;
pub mod shared;
pub mod sieve;
pub mod tap;
pub mod tls;
pub mod trusted;
pub mod tunnel;
pub mod upstream;
pub mod worker;

pub use fuzz::fuzz_requests;
