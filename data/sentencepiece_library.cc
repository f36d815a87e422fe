/* The only C++ of this program: see sentencepiece_library.h. No exception leaves this file. */
#include "data/sentencepiece_library.h"

#include <sentencepiece_processor.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>

struct sentencepiece_library {
    sentencepiece::SentencePieceProcessor processor;
};

static bool failed(char *problem, size_t room, const std::string &text)
{
    snprintf(problem, room, "%s", text.c_str());
    return false;
}

sentencepiece_library *sentencepiece_library_open(const void *model, size_t bytes, char *problem,
                                                  size_t room)
{
    sentencepiece_library *l = nullptr;
    try {
        l = new sentencepiece_library;
        auto status = l->processor.LoadFromSerializedProto(
            std::string_view(static_cast<const char *>(model), bytes));
        if (status.ok()) return l;
        failed(problem, room, status.ToString());
    } catch (const std::exception &x) {
        failed(problem, room, x.what());
    }
    delete l;
    return nullptr;
}

void sentencepiece_library_close(sentencepiece_library *l)
{
    delete l;
}

static bool copy_ids(const sentencepiece_library *l,
                     const sentencepiece::ImmutableSentencePieceText &all, bool want_ends,
                     sentencepiece_ids *out)
{
    size_t count = all.pieces_size();
    out->ids = static_cast<int32_t *>(malloc((count + 1) * sizeof *out->ids));
    if (want_ends) out->ends = static_cast<int64_t *>(malloc((count + 1) * sizeof *out->ends));
    if (!out->ids || (want_ends && !out->ends)) return false;
    out->count = static_cast<int64_t>(count);
    int unknown = l->processor.unk_id();
    for (size_t i = 0; i < count; i++) {
        const auto piece = all.pieces(static_cast<int>(i));
        out->ids[i] = static_cast<int32_t>(piece.id());
        if (want_ends) out->ends[i] = piece.end();
        if (out->ids[i] != unknown) continue;
        out->unknown++;
        out->unknown_bytes += piece.end() - piece.begin();
    }
    return true;
}

bool sentencepiece_library_encode(const sentencepiece_library *l, const char *text, size_t bytes,
                                  bool want_ends, sentencepiece_ids *out, char *problem,
                                  size_t room)
{
    *out = sentencepiece_ids{};
    try {
        sentencepiece::ImmutableSentencePieceText all;
        auto status = l->processor.Encode(std::string_view(text, bytes), all.mutable_proto());
        if (!status.ok()) return failed(problem, room, status.ToString());
        if (copy_ids(l, all, want_ends, out)) return true;
        failed(problem, room, "out of memory");
    } catch (const std::exception &x) {
        failed(problem, room, x.what());
    }
    free(out->ids);
    free(out->ends);
    *out = sentencepiece_ids{};
    return false;
}
