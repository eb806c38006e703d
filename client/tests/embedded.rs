//! The whole way of a call, on the node inside the program.

use greenroom::{Client, Counter, Settings};

#[test]
fn threads_add_to_one_counter() {
    let threads: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn(|| {
                let hits = Counter::named("hits");
                for _ in 0..100 {
                    hits.add(1).expect("adds");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("joins");
    }
    assert_eq!(Counter::named("hits").get().expect("reads"), 800);
}

#[tokio::test]
async fn tasks_meet_at_a_barrier() {
    let client = Client::with_settings(Settings::default()).await.expect("connects");
    let waits: Vec<_> = (0..1000)
        .map(|_| tokio::spawn(client.object(greenroom::sync::Barrier::named("gate", 1000)).wait_async()))
        .collect();
    let mut leaders = 0;
    for wait in waits {
        leaders += usize::from(wait.await.expect("runs").expect("passes").is_leader());
    }
    assert_eq!(leaders, 1);
}
