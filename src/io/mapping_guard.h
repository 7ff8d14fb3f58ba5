// The mapping guard: a fault inside one of our file mappings becomes a flag instead of the end of the
// process.
//
// A store into, or a load from, a mapped file raises SIGBUS when the kernel cannot give the page: the disk is
// full, a sector is bad, the file system shut itself down, somebody cut the file. The guard's handler looks
// the address up in a registry. Inside a registered range it moves a private anonymous page over the faulty
// one, sets the range's flag, and the access goes on; elsewhere the handler that was installed before runs,
// as if the guard were not there.
//
// Invariants
//  G1  faulted() is true before any thread can read a byte of a private page.
//  G2  A private page of a writable range holds the bytes that stood there as far as they can still be read
//  (in the
//      mapping, else in the file), and they are never seen as zeros meanwhile: the page is filled, then moved
//      into place. In a readable range it holds zeros: what cannot be read is not known.
//  G3  The handler makes system calls and touches atomics, nothing else. It runs with all signals blocked.
//  G4  A forked child does not have our mappings: there the handler only passes faults on.
// Thread safety: internally synchronised. A range is not accessed while it is made or destroyed.
// Costs: nothing without a fault; making a range takes one lock. A fault scans the registry, microseconds.
#pragma once

#include <lightning/status.h>

#include <atomic>
#include <cstdint>
#include <memory>

namespace lightning {

/// Installs the handler for SIGBUS at the first call. Is it the one in force now? Not after the program
/// installed another one: then nobody knows whether a fault still reaches the guard.
bool mapping_guard_in_force();

/// A mapping that the guard answers for, from create() to destruction. The mapping is unmapped after this
/// object.
class GuardedRange {
 public:
  /// [begin, begin + size) is mapped from `descriptor` at `file_offset`; both stay so while the object lives.
  /// Only a writable range needs the descriptor.
  /// `begin` and `size` are multiples of the page size. Error: out_of_memory.
  static Result<std::unique_ptr<GuardedRange>> create(char* begin, uint64_t size, int descriptor,
                                                      uint64_t file_offset, bool writable);
  ~GuardedRange();
  GuardedRange(const GuardedRange&) = delete;
  GuardedRange& operator=(const GuardedRange&) = delete;

  const std::atomic<bool>* faulted() const { return &faulted_; }

  /// For the handler: puts a private page where `address` lies. False when the kernel refuses even that.
  bool answer_fault(uintptr_t address);

 private:
  GuardedRange(char* begin, uint64_t size, int descriptor, uint64_t file_offset, bool writable)
      : begin_(begin), size_(size), descriptor_(descriptor), file_offset_(file_offset), writable_(writable) {}
  bool replace_page(uint64_t offset);
  bool replace_all();

  char* const begin_;
  const uint64_t size_;
  const int descriptor_;
  const uint64_t file_offset_;
  const bool writable_;
  std::atomic<bool> faulted_{false};  // partner: MappedRegion::faulted()
  // One bit a page: replaced. Written under the handler's lock only.
  std::unique_ptr<std::atomic<uint64_t>[]> replaced_;
  void* slot_ = nullptr;
};

}  // namespace lightning
