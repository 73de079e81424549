#include "fs/collect_fields.h"

#include <nlohmann/json.hpp>

namespace varve {

nlohmann::json collect_fields(const CollectFigures& figures) {
  return {{"packs", figures.packs},
          {"bytes", figures.bytes},
          {"catalog_packs", figures.catalog_packs},
          {"kept_packs", figures.kept_packs},
          {"kept_bytes", figures.kept_bytes},
          {"spared_packs", figures.spared_packs},
          {"spared_bytes", figures.spared_bytes},
          {"strange_packs", figures.strange_packs},
          {"strange_bytes", figures.strange_bytes},
          {"snapshots", figures.snapshots},
          {"unknown_snapshots", figures.unknown_snapshots},
          {"objects", figures.objects}};
}

}  // namespace varve
