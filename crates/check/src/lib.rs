//! What the model checker says of the migration protocol, for people.

pub mod picture;
