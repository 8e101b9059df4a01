#include "watch/watch_hub.h"

#include <unordered_map>

#include "store/coding.h"
#include "store/packing.h"

namespace balsa {

void WatchHub::Push(WatchBatch batch) {
  if (closed_ || batch.empty()) return;
  pending_bytes_ += batch.bytes();
  pending_events_ += batch.deliveries.size();
  batches_.push_back(std::move(batch));
  if (!awake_) {
    awake_ = true;
    wake_();
  }
}

void WatchHub::Take(size_t max_bytes, std::vector<WatchBatch>* batches) {
  awake_ = false;
  size_t taken = 0;
  while (!batches_.empty() && taken < max_bytes) {
    size_t bytes = batches_.front().bytes();
    taken += bytes;
    pending_bytes_ -= bytes;
    pending_events_ -= batches_.front().deliveries.size();
    batches->push_back(std::move(batches_.front()));
    batches_.pop_front();
  }
  if (!batches_.empty() && !closed_) {
    awake_ = true;
    wake_();
  }
}

namespace {

constexpr size_t kHeader = 32;
constexpr size_t kDelivery = 32;

void AppendDelivery(uint32_t watcher, uint32_t kind, uint32_t first, uint32_t count, int64_t revision, int64_t compact,
                    std::string* out) {
  char row[kDelivery];
  WriteLittle32(row, watcher);
  WriteLittle32(row + 4, kind);
  WriteLittle32(row + 8, first);
  WriteLittle32(row + 12, count);
  WriteDouble(row + 16, static_cast<double>(revision));
  WriteDouble(row + 24, static_cast<double>(compact));
  out->append(row, sizeof(row));
}

/// A batch's deliveries by watcher, in the order in which each watcher first comes.
struct Grouped {
  uint32_t watcher;
  bool with_previous;
  std::vector<uint32_t> rows;
};

std::vector<Grouped> GroupByWatcher(const WatchBatch& batch, const std::vector<uint32_t>& rows) {
  std::vector<Grouped> groups;
  std::unordered_map<uint32_t, size_t> places;
  for (const WatchBatch::Delivery& delivery : batch.deliveries) {
    auto [place, added] = places.try_emplace(delivery.watcher, groups.size());
    if (added) groups.push_back({delivery.watcher, delivery.with_previous != 0, {}});
    groups[place->second].rows.push_back(rows[delivery.event]);
  }
  return groups;
}

}  // namespace

std::string PackWatchBatches(const std::vector<WatchBatch>& batches) {
  KeyValuePacker events;
  std::string deliveries;
  std::string references;
  uint32_t reference_count = 0;
  uint32_t delivery_count = 0;
  for (const WatchBatch& batch : batches) {
    std::vector<uint32_t> rows;
    rows.reserve(batch.events.size());
    for (const WatchEvent& event : batch.events) {
      uint32_t previous = UINT32_MAX;
      if (event.previous) previous = events.Add(*event.previous, UINT32_MAX);
      rows.push_back(events.Add(*event.record, previous));
    }
    if (batch.events.size() == 1) {
      // The common one: a change that many watch. No grouping, and all refer to the one row.
      for (const WatchBatch::Delivery& delivery : batch.deliveries) {
        AppendDelivery(delivery.watcher, delivery.with_previous != 0 ? 0x100 : 0, reference_count, 1, batch.revision, 0,
                       &deliveries);
        delivery_count++;
      }
      AppendLittle32(&references, rows[0]);
      reference_count++;
    } else {
      for (const Grouped& group : GroupByWatcher(batch, rows)) {
        auto size = static_cast<uint32_t>(group.rows.size());
        AppendDelivery(group.watcher, group.with_previous ? 0x100 : 0, reference_count, size, batch.revision, 0, &deliveries);
        delivery_count++;
        for (uint32_t row : group.rows) AppendLittle32(&references, row);
        reference_count += size;
      }
    }
    for (const WatchBatch::Notice& notice : batch.notices) {
      AppendDelivery(notice.watcher, static_cast<uint32_t>(notice.kind), 0, 0, batch.revision, notice.compact_revision,
                     &deliveries);
      delivery_count++;
    }
  }
  if (references.size() % 8 != 0) AppendLittle32(&references, 0);
  size_t bytes_at = kHeader + events.rows_size() + deliveries.size() + references.size();
  std::string packed;
  packed.reserve(bytes_at + events.bytes_size());
  AppendLittle32(&packed, events.count());
  AppendLittle32(&packed, delivery_count);
  packed.resize(kHeader, '\0');
  events.AppendRows(static_cast<uint32_t>(bytes_at), &packed);
  packed.append(deliveries);
  packed.append(references);
  events.AppendBytes(&packed);
  packed.append((8 - packed.size() % 8) % 8, '\0');
  return packed;
}

}  // namespace balsa
