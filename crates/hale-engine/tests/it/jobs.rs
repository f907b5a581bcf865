//! Jobs as the engine sees them; real programs run in the tests of the `hale` binary.

use hale_core::pack::job::WALLS;
use hale_sandbox::job::wall::{ALL, Wall};

#[test]
fn packs_know_the_walls_of_the_sandbox() {
    assert_eq!(WALLS.to_vec(), ALL.map(Wall::name).to_vec());
}
