//! How a constellation grows: the model of a galaxy by rounds (`model`, `black_holes`, `load`, `links`), and of galaxies under a parent galaxy (`tiers`), from a hundred
//! stars to a million and beyond (`sweep`); beside the real state machines where those can be run (`machines`), real devnets (`devnet`), and what the
//! paper rests on (`paper`). Costs are those of the planner (`plan::costs`). What comes out is a `Report`, as text (`text`) or as a page (`page`).

mod black_holes;
mod devnet;
mod fit;
mod links;
mod load;
mod machines;
mod model;
mod page;
mod paper;
mod report;
mod sweep;
mod text;
mod tiers;

pub use devnet::{Devnet, DevnetComparison};
pub use page::page;
pub use report::report;
pub use sweep::{Options, RATE_PER_STAR_S, STARS_PER_CLUSTER, VALIDATORS};
