// A libvulkan.so.1 for compiling shaders without a GPU. It stands where the Vulkan loader would, passes every call to Mesa's RADV,
// and answers itself what has to do with memory, command buffers and queues.
//
// Why: with RADV_FORCE_FAMILY, RADV makes a device of any AMD family out of nothing, with its real compiler, ACO. That null device
// has no memory and crashes as soon as a command buffer begins, which Dawn does while it creates a device. With this in between,
// the engine runs on it unchanged: pipelines are compiled for that family, buffers are small and shared, commands are dropped.
//
// Use: the compiled file as libvulkan.so.1 in a folder on LD_LIBRARY_PATH, and in NULL_VULKAN_DRIVER the path or name of
// libvulkan_radeon.so. Names and layouts are those of the Vulkan 1.3 specification; its headers are not needed.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
typedef void (*Function)(void);
typedef Function (*Lookup)(void *, const char *);
enum { SUCCESS = 0, OUT_OF_DEVICE_MEMORY = -2 };

// The beginnings of the structures that are read or written here.
typedef struct { uint32_t type; const void *next; } Header; // VkStructureType, pNext
typedef struct { uint64_t size, alignment; uint32_t types; } Requirements; // VkMemoryRequirements
typedef struct { Header header; uint64_t size; } AllocateInfo; // VkMemoryAllocateInfo
typedef struct { Header header; uint64_t pool; uint32_t level, count; } CommandBufferInfo; // VkCommandBufferAllocateInfo
typedef struct { // VkPhysicalDeviceMemoryProperties
  uint32_t types;
  struct { uint32_t flags, heap; } type[32];
  uint32_t heaps;
  struct { uint64_t size; uint32_t flags; } heap[16];
} MemoryProperties;

static Lookup driver; // RADV's vk_icdGetInstanceProcAddr
static int succeed(void) { return SUCCESS; }
static void nothing(void) {}

// Fences, semaphores and query pools are numbers that nothing looks behind; fences are always signaled, since waits succeed.
static int create_handle(void *device, const void *info, const void *allocator, uint64_t *handle) {
  static uint64_t last;
  *handle = ++last;
  return SUCCESS;
}

// Command buffers only need addresses: no command reaches the driver.
static int allocate_command_buffers(void *device, const CommandBufferInfo *info, void **buffers) {
  static uint64_t places[1024];
  static uint32_t next;
  for (uint32_t i = 0; i < info->count; i++) buffers[i] = &places[next++ % 1024];
  return SUCCESS;
}

// One heap of 64 GiB with one type of memory that is all at once: local to the device, visible, coherent and cached.
static void memory_properties(void *physical, MemoryProperties *properties) {
  memset(properties, 0, sizeof *properties);
  properties->types = properties->heaps = 1;
  properties->type[0].flags = 1 | 2 | 4 | 8;
  properties->heap[0].size = 64ull << 30;
  properties->heap[0].flags = 1;
}
static void memory_properties2(void *physical, Header *properties) {
  memory_properties(physical, (MemoryProperties *)(properties + 1));
}

// RADV says how large a resource is; it may lie in the one type of memory there is.
typedef void (*Requires)(void *, uint64_t, Requirements *);
typedef void (*Requires2)(void *, const void *, Header *);
static Function buffer_requires, image_requires, buffer_requires2, image_requires2;
static void buffer_requirements(void *device, uint64_t buffer, Requirements *out) {
  ((Requires)buffer_requires)(device, buffer, out);
  out->types = 1;
}
static void image_requirements(void *device, uint64_t image, Requirements *out) {
  ((Requires)image_requires)(device, image, out);
  out->types = 1;
}
static void buffer_requirements2(void *device, const void *info, Header *out) {
  ((Requires2)buffer_requires2)(device, info, out);
  ((Requirements *)(out + 1))->types = 1;
}
static void image_requirements2(void *device, const void *info, Header *out) {
  ((Requires2)image_requires2)(device, info, out);
  ((Requirements *)(out + 1))->types = 1;
}

// Pages that nobody writes take no room: calloc() of a large block maps them only when touched.
static int allocate_memory(void *device, const AllocateInfo *info, const void *allocator, void **memory) {
  *memory = calloc(1, info->size);
  return *memory ? SUCCESS : OUT_OF_DEVICE_MEMORY;
}
static void free_memory(void *device, void *memory, const void *allocator) { free(memory); }
static int map_memory(void *device, void *memory, uint64_t offset, uint64_t size, uint32_t flags, void **at) {
  *at = (char *)memory + offset;
  return SUCCESS;
}

// RADV writes what it compiles to stderr a few bytes at a time, each a call of the system; here a kernel at a time.
typedef int (*CreatePipelines)(void *, uint64_t, uint32_t, const void *, const void *, uint64_t *);
static Function driver_pipelines;
static int create_pipelines(void *device, uint64_t cache, uint32_t count, const void *infos, const void *allocator, uint64_t *out) {
  static char buffer[1 << 20];
  setvbuf(stderr, buffer, _IOFBF, sizeof buffer);
  int result = ((CreatePipelines)driver_pipelines)(device, cache, count, infos, allocator, out);
  fflush(stderr);
  setvbuf(stderr, 0, _IONBF, 0);
  return result;
}

static int no_layers(uint32_t *count, void *properties) {
  *count = 0;
  return SUCCESS;
}

EXPORT Function vkGetInstanceProcAddr(void *instance, const char *name);
EXPORT Function vkGetDeviceProcAddr(void *device, const char *name) { return vkGetInstanceProcAddr(0, name); }

// By name, or where it ends in *, by how it begins; `kept` is where the driver's own function is remembered.
static const struct { const char *name; Function function; Function *kept; } answers[] = {
  {"vkGetInstanceProcAddr", (Function)vkGetInstanceProcAddr}, {"vkGetDeviceProcAddr", (Function)vkGetDeviceProcAddr},
  {"vkEnumerateInstanceLayerProperties", (Function)no_layers},
  {"vkCreateComputePipelines", (Function)create_pipelines, &driver_pipelines},
  {"vkCreateFence", (Function)create_handle}, {"vkCreateSemaphore", (Function)create_handle},
  {"vkCreateQueryPool", (Function)create_handle}, {"vkDestroyFence", nothing}, {"vkDestroySemaphore", nothing},
  {"vkDestroyQueryPool", nothing}, {"vkAllocateCommandBuffers", (Function)allocate_command_buffers},
  {"vkFreeCommandBuffers", nothing}, {"vkBeginCommandBuffer", (Function)succeed}, {"vkEndCommandBuffer", (Function)succeed},
  {"vkResetCommand*", (Function)succeed}, {"vkTrimCommandPool*", nothing}, {"vkCmd*", nothing},
  {"vkQueueSubmit*", (Function)succeed}, {"vkQueueWaitIdle", (Function)succeed}, {"vkDeviceWaitIdle", (Function)succeed},
  {"vkWaitForFences", (Function)succeed}, {"vkGetFenceStatus", (Function)succeed}, {"vkResetFences", (Function)succeed},
  {"vkGetQueryPoolResults", (Function)succeed}, {"vkUpdateDescriptorSet*", nothing},
  {"vkGetPhysicalDeviceMemoryProperties", (Function)memory_properties},
  {"vkGetPhysicalDeviceMemoryProperties2*", (Function)memory_properties2},
  {"vkGetBufferMemoryRequirements", (Function)buffer_requirements, &buffer_requires},
  {"vkGetImageMemoryRequirements", (Function)image_requirements, &image_requires},
  {"vkGetBufferMemoryRequirements2*", (Function)buffer_requirements2, &buffer_requires2},
  {"vkGetImageMemoryRequirements2*", (Function)image_requirements2, &image_requires2},
  {"vkAllocateMemory", (Function)allocate_memory}, {"vkFreeMemory", (Function)free_memory}, {"vkMapMemory", (Function)map_memory},
  {"vkUnmapMemory", nothing}, {"vkFlushMappedMemoryRanges", (Function)succeed},
  {"vkInvalidateMappedMemoryRanges", (Function)succeed}, {"vkBindBufferMemory*", (Function)succeed},
  {"vkBindImageMemory*", (Function)succeed},
};

static int matches(const char *pattern, const char *name) {
  size_t length = strlen(pattern) - 1;
  return pattern[length] == '*' ? !strncmp(pattern, name, length) : !strcmp(pattern, name);
}

EXPORT Function vkGetInstanceProcAddr(void *instance, const char *name) {
  static void *known; // what the last lookup passed: a device's functions are the instance's
  if (!driver) {
    void *library = dlopen(getenv("NULL_VULKAN_DRIVER"), RTLD_NOW | RTLD_LOCAL);
    if (library) driver = (Lookup)dlsym(library, "vk_icdGetInstanceProcAddr");
    if (!driver) return 0;
  }
  if (instance) known = instance;
  Function real = driver(instance ? instance : known, name);
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
    if (!matches(answers[i].name, name)) continue;
    if (answers[i].kept && real) *answers[i].kept = real;
    // What the driver does not have, Dawn must not find either; these three are the loader's own.
    return real || i < 3 ? answers[i].function : 0;
  }
  return real;
}
