extension Result {
    /// What an asynchronous body returns or throws. A `Task` forgets the type of what its body throws; it keeps this.
    init(awaiting body: () async throws(Failure) -> Success) async {
        do throws(Failure) {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}
