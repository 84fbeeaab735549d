import Testing

/// The library as its users see it. One test after another: some count the threads and files of the whole process, and
/// others hold ports.
@Suite(.serialized) struct LibraryTests {}
