//! Nothing: a package of tests needs one target that is no test. The topics stand in `e2e/`.
