//! What operators ask of the gate.

use std::future::Future;
use std::pin::Pin;

use crate::fence::{Refusal, Resource};
use crate::gate::{Gate, Sealed, Status};
use crate::net::identity::Peer;

/// A future of the gate, boxed.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The gate as operators see it: the seam at which this listener is tested alone.
pub trait Operate: Send + Sync + 'static {
    /// As [`Gate::status`].
    fn status<'a>(&'a self, resource: &'a Resource) -> Pending<'a, Result<Status, Refusal>>;

    /// As [`Gate::reseal`].
    fn reseal<'a>(&'a self, resource: &'a Resource) -> Pending<'a, Result<Sealed, Refusal>>;

    /// As [`Gate::reset`].
    fn reset<'a>(
        &'a self,
        resource: &'a Resource,
        operator: &'a Peer,
        reason: &'a str,
    ) -> Pending<'a, Result<Sealed, Refusal>>;
}

impl Operate for Gate {
    fn status<'a>(&'a self, resource: &'a Resource) -> Pending<'a, Result<Status, Refusal>> {
        Box::pin(Gate::status(self, resource))
    }

    fn reseal<'a>(&'a self, resource: &'a Resource) -> Pending<'a, Result<Sealed, Refusal>> {
        Box::pin(Gate::reseal(self, resource))
    }

    fn reset<'a>(
        &'a self,
        resource: &'a Resource,
        operator: &'a Peer,
        reason: &'a str,
    ) -> Pending<'a, Result<Sealed, Refusal>> {
        Box::pin(Gate::reset(self, resource, operator, reason))
    }
}
