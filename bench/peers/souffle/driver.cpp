// PROGRAM FOLDER RUNS: a program that Soufflé generated, as the other peers are called.
//
// Reads FOLDER/<table>.facts, evaluates them RUNS times, each from nothing, and prints one line of
// JSON. `build.sh` includes what was generated above this file and defines PROGRAM, its name.
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <memory>
#include <string>

static double milliseconds(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

int main(int, char** words) {
  const std::string folder = words[2];
  const int runs = std::atoi(words[3]);
  std::string times;
  std::string sizes;
  for (int run = 0; run < runs; run++) {
    souffle::SouffleProgram* program = souffle::ProgramFactory::newInstance(PROGRAM);
    if (program == nullptr) return 1;
    program->setNumThreads(1);
    program->loadAll(folder);
    const double wall = milliseconds(CLOCK_MONOTONIC);
    const double cpu = milliseconds(CLOCK_THREAD_CPUTIME_ID);
    program->run();
    const double wallSpent = milliseconds(CLOCK_MONOTONIC) - wall;
    const double cpuSpent = milliseconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
    times += (run > 0 ? "," : "") + ("{\"wallMs\":" + std::to_string(wallSpent)) +
             ",\"cpuMs\":" + std::to_string(cpuSpent) + "}";
    sizes.clear();
    for (const souffle::Relation* table : program->getOutputRelations()) {
      sizes += (sizes.empty() ? "\"" : ",\"") + table->getName() +
               "\":" + std::to_string(table->size());
    }
    // The last is left to the system.
    if (run + 1 < runs) delete program;
  }
  std::cout << "{\"sizes\":{" << sizes << "},\"runs\":[" << times << "]}" << std::endl;
  std::_Exit(0);
}
