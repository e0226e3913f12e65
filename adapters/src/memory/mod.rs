//! Stores in memory: the reference that the contract suite reads by, and the ground of simulations.
//! Nothing here survives the process.
