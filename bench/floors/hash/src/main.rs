//! The floor of a login: one that does nothing but the password hash, with
//! memory that is kept from one hash to the next. `RAYON_NUM_THREADS` sets its
//! threads.
use argon2::{Algorithm, Argon2, Block, Params, Version};
use lambda_http::{Body, Error, Request, Response, run, service_fn};
use tokio::sync::Mutex;

const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 4;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
    let memory = Mutex::new(vec![Block::new(); params.block_count()]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    run(service_fn(async |_: Request| {
        let mut hash = [0; Params::DEFAULT_OUTPUT_LEN];
        argon2.hash_password_into_with_memory(
            b"correct horse battery staple",
            b"a salt, 16 bytes",
            &mut hash,
            memory.lock().await.as_mut_slice(),
        )?;
        Ok::<_, Error>(Response::new(Body::from(hash.to_vec())))
    }))
    .await
}
