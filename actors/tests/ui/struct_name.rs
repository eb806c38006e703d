extern crate greenroom_actors as greenroom;

use greenroom_macros::object;
use serde::{Deserialize, Serialize};

#[object(name = "shop/Counter")]
#[derive(Default, Serialize, Deserialize)]
struct Slash;

#[object]
impl Slash {}

#[object(name = "")]
#[derive(Default, Serialize, Deserialize)]
struct Empty;

#[object]
impl Empty {}

#[object(name = "long long long long long long long long long long long long long long long long long long long long long long long long long long ")]
#[derive(Default, Serialize, Deserialize)]
struct Long;

#[object]
impl Long {}

#[object(nmae = "Counter")]
#[derive(Default, Serialize, Deserialize)]
struct Misspelt;

#[object]
impl Misspelt {}

fn main() {}
