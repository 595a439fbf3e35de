//! The floor of every function: one that does nothing but answer.
use lambda_http::{Body, Error, Request, Response, run, service_fn};

// One request at a time needs no second worker thread.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(hello)).await
}

async fn hello(_: Request) -> Result<Response<Body>, Error> {
    Ok(Response::new(Body::from("hello")))
}
