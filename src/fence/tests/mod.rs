//! What the parts of the fence do one by one. How they hold together is for the model.

mod admission;
mod register;
mod resource;
mod token;
