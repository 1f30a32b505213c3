//! Sockets in folders of their own.

use std::os::unix::fs::FileTypeExt;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::join;

use super::*;

async fn greet(listener: &Listener, address: &Address) {
    let (near, far) = join!(connect(address), listener.accept());
    let (mut near, mut far) = (near.unwrap(), far.unwrap());
    let mut received = [0; 5];
    near.write_all(b"hello").await.unwrap();
    far.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"hello");
}

fn path(listener: &Listener) -> PathBuf {
    let Address::Unix(path) = listener.address() else { panic!("not a path") };
    path.into()
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_socket_is_named_as_in_go_is_private_and_is_removed() {
    let folder = PrivateFolder::new(None).unwrap();
    let listener = Listener::bind(folder.path(), None).unwrap();
    greet(&listener, listener.address()).await;
    let path = path(&listener);
    assert!(path.file_name().unwrap().to_str().unwrap().starts_with("plugin"));
    assert!(fs::metadata(&path).unwrap().file_type().is_socket());
    assert_eq!(mode(&path), 0o600);
    drop(listener);
    assert_eq!(entries(folder.path()), 0);
}

#[tokio::test]
async fn a_group_may_use_the_socket_that_is_for_it() {
    let group = rustix::process::getegid().as_raw().to_string();
    let folder = PrivateFolder::new(Some(&group)).unwrap();
    assert_eq!(mode(folder.path()), 0o770);
    let listener = Listener::bind(folder.path(), Some(&group)).unwrap();
    assert_eq!(mode(&path(&listener)), 0o660);
    greet(&listener, listener.address()).await;
}

#[tokio::test]
async fn two_sockets_of_one_folder_do_not_meet() {
    let folder = PrivateFolder::new(None).unwrap();
    let one = Listener::bind(folder.path(), None).unwrap();
    let other = Listener::bind(folder.path(), None).unwrap();
    assert_ne!(one.address(), other.address());
    greet(&one, one.address()).await;
    greet(&other, other.address()).await;
}

#[tokio::test]
async fn a_file_that_has_taken_the_place_of_the_socket_stays() {
    let folder = PrivateFolder::new(None).unwrap();
    let listener = Listener::bind(folder.path(), None).unwrap();
    let path = path(&listener);
    // Beside it first: a removed file's number may be given to the next.
    let other = folder.path().join("other");
    fs::write(&other, "another's").unwrap();
    fs::rename(&other, &path).unwrap();
    drop(listener);
    assert_eq!(fs::read(&path).unwrap(), b"another's");
}

#[tokio::test]
async fn a_socket_that_the_host_has_removed_is_no_trouble() {
    let folder = PrivateFolder::new(None).unwrap();
    let listener = Listener::bind(folder.path(), None).unwrap();
    fs::remove_file(path(&listener)).unwrap();
    drop(listener);
}

#[tokio::test]
async fn a_folder_that_is_too_deep_is_named() {
    let folder = PrivateFolder::new(None).unwrap();
    let room = LONGEST_PATH - folder.path().as_os_str().len();
    let room = room - "//plugin".len() - RANDOM_CHARACTERS;
    let just = folder.path().join("x".repeat(room));
    fs::create_dir(&just).unwrap();
    let listener = Listener::bind(&just, None).unwrap();
    assert_eq!(path(&listener).as_os_str().len(), LONGEST_PATH);
    greet(&listener, listener.address()).await;

    let deep = folder.path().join("x".repeat(room + 1));
    let error = Listener::bind(&deep, None).unwrap_err();
    assert!(matches!(&error, SocketError::PathTooLong { .. }), "{error:?}");
    assert!(error.to_string().contains(deep.to_str().unwrap()));
    assert!(error.to_string().contains("TMPDIR"));
}

#[tokio::test]
async fn a_folder_that_no_line_can_carry_is_refused_before_anything_is_made() {
    let folder = PrivateFolder::new(None).unwrap();
    let odd = folder.path().join("a|b");
    fs::create_dir(&odd).unwrap();
    let error = Listener::bind(&odd, None).unwrap_err();
    assert!(matches!(error, SocketError::Address(_)), "{error:?}");
    assert_eq!(entries(&odd), 0);
}

#[tokio::test]
async fn a_folder_that_does_not_exist_is_named() {
    let folder = PrivateFolder::new(None).unwrap();
    let absent = folder.path().join("absent");
    let error = Listener::bind(&absent, None).unwrap_err();
    assert!(matches!(error, SocketError::Bind { .. }), "{error:?}");
    assert!(error.to_string().contains(absent.to_str().unwrap()));
}

#[test]
fn a_private_folder_is_the_user_s_alone_and_short_enough() {
    let folder = PrivateFolder::new(None).unwrap();
    assert_eq!(mode(folder.path()), 0o700);
    assert!(check_length(folder.path()).is_ok());
    let path = folder.path().to_owned();
    drop(folder);
    assert!(!path.exists());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn abstract_sockets_are_connected_to() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    let folder = PrivateFolder::new(None).unwrap();
    let name = folder.path().to_str().unwrap().trim_start_matches('/').to_owned();
    let socket = SocketAddr::from_abstract_name(&name).unwrap();
    let listener = std::os::unix::net::UnixListener::bind_addr(&socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = UnixListener::from_std(listener).unwrap();
    let address = Address::Abstract(name);
    let (near, far) = join!(connect(&address), listener.accept());
    assert!(near.is_ok() && far.is_ok());
}

#[tokio::test]
async fn connecting_to_nobody_is_an_error() {
    let folder = PrivateFolder::new(None).unwrap();
    let address = Address::file(&folder.path().join("absent")).unwrap();
    let error = connect(&address).await.err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn only_this_user_and_root_are_us() {
    let me = geteuid().as_raw();
    assert!(is_us(me) && is_us(0));
    assert!(!is_us(me.wrapping_add(1).max(1)));
}

#[test]
fn groups_are_found_by_name_and_by_number() {
    let file = "root:x:0:\n# odd\n\nstaff:*:50:a,b\nbad:x:many:\nstaff2:x:51";
    assert_eq!(find_group(file, "staff"), Some(50));
    assert_eq!(find_group(file, "staff2"), Some(51));
    for name in ["bad", "", "a", "50"] {
        assert_eq!(find_group(file, name), None);
    }
    assert_eq!(resolve_group("1234").unwrap().as_raw(), 1234);
    let error = resolve_group("no such group").unwrap_err();
    assert!(matches!(error, SocketError::Group { .. }), "{error:?}");
}
