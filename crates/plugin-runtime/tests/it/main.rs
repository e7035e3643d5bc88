//! The runtime against real components: hostile guests that are built here from text, and the
//! shipped plugin.

#[cfg(test)]
mod archive;
#[cfg(test)]
mod deadlines;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod misdeeds;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod shipped;
#[cfg(test)]
mod support;
