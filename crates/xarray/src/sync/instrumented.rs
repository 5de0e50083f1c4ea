//! Locks that ThreadSanitizer sees through: parking_lot's, under the names and with the answers of
//! the standard library's. (That one is linked as it was built, without the sanitizer: who waited
//! for one of its locks seems to have taken it out of the blue.)

pub mod sync {
    use std::sync::LockResult;
    use std::time::Duration;

    pub type MutexGuard<'a, T> = parking_lot::MutexGuard<'a, T>;
    pub type RwLockReadGuard<'a, T> = parking_lot::RwLockReadGuard<'a, T>;
    pub type RwLockWriteGuard<'a, T> = parking_lot::RwLockWriteGuard<'a, T>;

    #[derive(Debug, Default)]
    pub struct Mutex<T>(parking_lot::Mutex<T>);

    impl<T> Mutex<T> {
        pub const fn new(value: T) -> Self {
            Self(parking_lot::Mutex::new(value))
        }

        pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
            Ok(self.0.lock())
        }
    }

    #[derive(Debug, Default)]
    pub struct RwLock<T>(parking_lot::RwLock<T>);

    impl<T> RwLock<T> {
        pub const fn new(value: T) -> Self {
            Self(parking_lot::RwLock::new(value))
        }

        pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
            Ok(self.0.read())
        }

        pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>, ()> {
            self.0.try_read().ok_or(())
        }

        pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
            Ok(self.0.write())
        }
    }

    #[derive(Debug, Default)]
    pub struct Condvar(parking_lot::Condvar);

    impl Condvar {
        pub const fn new() -> Self {
            Self(parking_lot::Condvar::new())
        }

        pub fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
            self.0.wait(&mut guard);
            Ok(guard)
        }

        pub fn wait_timeout<'a, T>(
            &self,
            mut guard: MutexGuard<'a, T>,
            limit: Duration,
        ) -> LockResult<(MutexGuard<'a, T>, bool)> {
            let timed_out = self.0.wait_for(&mut guard, limit).timed_out();
            Ok((guard, timed_out))
        }

        pub fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}
