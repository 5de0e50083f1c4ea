//! Taken: failures of the store at every call, with handles that are told, heals midway, short
//! transfers at the n-th call. (Beside `failing_store/`, which another hand wrote.)
