// Predicts from one ECG: predict MODEL.cgm ECG.f32
//
//   c++ -std=c++17 predict.cpp $(pkg-config --cflags --libs cardiograd) -o predict
#include <cardiograd.h>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

// Codes and lines become exceptions.
template <typename Call> void asked(Call call) {
    char line[256] = "";
    if (call(line, sizeof line) != CARDIOGRAD_OK) throw std::runtime_error(line);
}

std::vector<char> whole(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error(path + " cannot be read");
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

} // namespace

int main(int argc, char **argv) try {
    if (argc != 3) throw std::runtime_error("usage: predict MODEL.cgm ECG.f32");
    const auto bytes = whole(argv[1]), samples = whole(argv[2]);
    cardiograd_model *made = nullptr;
    asked([&](char *line, size_t size) {
        return cardiograd_model_load(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size(), 0, &made, line, size);
    });
    const std::unique_ptr<cardiograd_model, void (*)(cardiograd_model *)> model(made, cardiograd_model_free);
    std::vector<float> ecg(samples.size() / sizeof(float));
    std::copy(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(ecg.size() * sizeof(float)), reinterpret_cast<char *>(ecg.data()));
    const cardiograd_ecgs one = {ecg.data(), 1, 12, ecg.size() / 12, 0};
    float prediction = 0;
    asked([&](char *line, size_t size) { return cardiograd_predict(model.get(), one, 0, &prediction, line, size); });
    std::cout << prediction << "\n";
    return 0;
} catch (const std::exception &error) {
    std::cerr << error.what() << "\n";
    return 1;
}
