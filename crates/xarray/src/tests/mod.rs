//! Tests of the whole array; those of interleavings are in `model`.

#[cfg(not(refolio_model))]
mod oracle;
#[cfg(not(refolio_model))]
mod stress;

const _: fn() = || {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<crate::XArray>();
};
