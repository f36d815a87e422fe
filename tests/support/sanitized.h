/* Whether these tests, and so the program beside them, are built with ASan or TSan, whose allocator
 * is the only one, which need much of the address space and are several times slower. gcc and clang
 * say it in different ways. */
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifndef SANITIZED
#define SANITIZED 0
#endif
