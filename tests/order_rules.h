// The rules of the order checker for a database directory: what a SUPER names, and what a manifest names as
// far as some SUPER says that it counts, must exist under a durable name with durable bytes
// (testing/order_checker.h).
//
// A run must be durable as a whole, a log segment by its name (whether enough of it was durable, crashes
// show).
#pragma once

#include "testing/order_checker.h"

namespace lightning {

void add_order_rules(OrderChecker& checker);

}  // namespace lightning
