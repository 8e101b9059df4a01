// nf_tables expressions and their data as attributes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "message.h"
#include "values.h"

namespace balsa::netlink {

// `verdict` has a `code` and, for jumps, a `chain`.
void WriteVerdict(MessageWriter& writer, uint16_t attribute, const Properties& verdict);

void WriteValue(MessageWriter& writer, uint16_t attribute, const void* data, size_t size);

// An object whose `kind` is the kernel's name of the expression. False: there is no such kind.
bool WriteExpression(MessageWriter& writer, const Properties& expression);

}  // namespace balsa::netlink
