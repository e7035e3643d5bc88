//! The runtime against real components: hostile guests that are built here from text, and the
//! shipped plugin.

#[cfg(test)]
mod guests;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod shipped;
#[cfg(test)]
mod support;
