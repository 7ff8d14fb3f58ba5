// Names for clang's thread safety analysis (-Wthread-safety); nothing under other compilers.
#pragma once

#if defined(__clang__)
#define LIGHTNING_ANNOTATE(x) __attribute__((x))
#else
#define LIGHTNING_ANNOTATE(x)
#endif

#define CAPABILITY(x) LIGHTNING_ANNOTATE(capability(x))
#define SCOPED_CAPABILITY LIGHTNING_ANNOTATE(scoped_lockable)
#define GUARDED_BY(x) LIGHTNING_ANNOTATE(guarded_by(x))
#define PT_GUARDED_BY(x) LIGHTNING_ANNOTATE(pt_guarded_by(x))
#define REQUIRES(...) LIGHTNING_ANNOTATE(requires_capability(__VA_ARGS__))
#define ACQUIRE(...) LIGHTNING_ANNOTATE(acquire_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) LIGHTNING_ANNOTATE(try_acquire_capability(__VA_ARGS__))
#define RELEASE(...) LIGHTNING_ANNOTATE(release_capability(__VA_ARGS__))
#define EXCLUDES(...) LIGHTNING_ANNOTATE(locks_excluded(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS LIGHTNING_ANNOTATE(no_thread_safety_analysis)
