//! What the paper's figure 5 rests on, as published: throughput against population for several numbers of facilitators.
//!
//! The paper's file could not be had. Its "4,800 transactions a second with 1,200 nodes" is of the evaluation of CHECO, whose system it builds on: K. Cong,
//! *A Blockchain Consensus Protocol With Horizontal Scalability*, thesis, TU Delft, August 2017, chapter 5, the figure "Linear global throughput, fixed
//! neighbours". The points were read off that figure's vector file, to the nearest whole number; whether the paper's own figure has the same ones is not known.
//! Every node sends 2 transactions a second to one neighbour, and the counter is of *validations*: each transaction counts once for either party, so that 4,800
//! of them are 2,400 transactions. The machines were 30, with 40 nodes each.

/// Transactions a second that each node sends.
pub const RATE_PER_NODE_S: f64 = 2.0;

/// How often a transaction is counted: once for each party.
pub const COUNTED: f64 = 2.0;

/// The populations.
pub const POPULATIONS: [u32; 11] = [200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100, 1200];

/// Validations a second, by facilitators and population; the figure has them for 12, 20, 24 and 28 facilitators too, in between.
pub const VALIDATED_PER_S: [(u32, [u32; 11]); 4] = [
    (4, [781, 1182, 1588, 1981, 2393, 2806, 3195, 3589, 3975, 4414, 4850]),
    (8, [751, 1143, 1553, 1946, 2363, 2773, 3189, 3521, 3999, 4325, 4786]),
    (16, [687, 1092, 1481, 1884, 2288, 2670, 3037, 3492, 3818, 4125, 4662]),
    (32, [569, 961, 1353, 1764, 2075, 2417, 2865, 3156, 3407, 3751, 4046]),
];
