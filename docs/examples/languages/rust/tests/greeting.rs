use std::io::ErrorKind;

#[test]
fn the_server_greets_through_the_nat() {
    assert_eq!(greeting::of("server", 80).unwrap(), "Hello from the server.");
}

#[test]
fn a_port_where_nobody_listens_is_refused() {
    let error = greeting::of("server", 81).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}
