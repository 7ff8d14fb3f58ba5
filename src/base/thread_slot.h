// The slot that a thread has for its epochs (base/epoch.h), and by whose place striped counters are divided.
//
// Slots are handed out from the lowest number on; a slot's number is its place among slots of 64 bytes.
// Thread safety: function, of the calling thread, which is in no epoch.
#pragma once

namespace lightning {

/// Gives the slot back now instead of at the end of the thread; the next epoch takes one again.
void give_thread_slot_back();

}  // namespace lightning
