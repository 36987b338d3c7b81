# Puts the code of CONTRIBUTING.md's worked example where the page says it goes, in a folder that
# overlays the tree: cmake -DFROM=<source> -DTO=<overlay> -P extract.cmake. A block of code names
# its file behind the fence's language.

file(READ ${FROM}/CONTRIBUTING.md page)

function(take_block path into)
  set(fence "\n```cpp ${path}\n")
  string(FIND "${page}" "${fence}" begin)
  if(begin EQUAL -1)
    message(FATAL_ERROR "CONTRIBUTING.md has no block of code for ${path}")
  endif()
  string(LENGTH "${fence}" length)
  math(EXPR begin "${begin} + ${length}")
  string(SUBSTRING "${page}" ${begin} -1 rest)
  string(FIND "${rest}" "\n```\n" end)
  string(SUBSTRING "${rest}" 0 ${end} block)
  set(${into} "${block}\n" PARENT_SCOPE)
endfunction()

take_block(probes/kinds.inc entry)
file(READ ${FROM}/probes/kinds.inc kinds)
file(WRITE ${TO}/probes/kinds.inc "${kinds}${entry}")
foreach(path probes/banner.cc tests/probes/banner_test.cc)
  take_block(${path} code)
  file(WRITE ${TO}/${path} "${code}")
endforeach()
