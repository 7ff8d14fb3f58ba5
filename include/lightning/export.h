// LIGHTNING_EXPORT marks what the shared library exports; everything else is hidden.
#pragma once

#define LIGHTNING_EXPORT [[gnu::visibility("default")]]
