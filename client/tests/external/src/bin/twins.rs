//! Two object types with one name, which no role of a program accepts.

mod one {
    use serde::{Deserialize, Serialize};

    #[greenroom::object]
    #[derive(Default, Serialize, Deserialize)]
    pub struct Twin {
        pub left: u64,
    }

    #[greenroom::object]
    impl Twin {
        pub fn left(&self) -> u64 {
            self.left
        }
    }
}

mod other {
    use serde::{Deserialize, Serialize};

    #[greenroom::object]
    #[derive(Default, Serialize, Deserialize)]
    pub struct Twin {
        pub right: u64,
    }

    #[greenroom::object]
    impl Twin {
        pub fn right(&self) -> u64 {
            self.right
        }
    }
}

#[greenroom::main]
fn main() {
    println!("nobody gets here: {:?} {:?}", one::Twin::named("a"), other::Twin::named("b"));
}
