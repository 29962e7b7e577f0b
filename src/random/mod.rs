//! Random numbers: a seeded, splittable, counter-based generator.
