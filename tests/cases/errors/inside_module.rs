/// Neural signals.
pub mod neural {
    use neurolake::prelude::*;

    /// Raw signals.
    pub mod raw {
        /// Spikes of all channels.
        #[neurolake::table(
            delta = "s3://lake/neural/spikes",
            onwer = "signals",
        )]
        pub struct Spikes;
    }

    /// Sorted spikes.
    #[table(delta = "s3://lake/neural/sorted", inputs(raw::Spikes), tag("neural"))]
    pub struct Sorted;
}
